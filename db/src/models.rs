//! Linear models at rest: one sealed file each.

use std::fs;
use std::path::{Path, PathBuf};

use protocol::offer::{MAX_MODELS, ModelOffer, PUBLIC_CAP};
use protocol::wire::Digest;
use psi::linear::{BLIND_SEED_BYTES, LinearSpec, MAX_MAGNITUDE};
use psi::{LatticeSet, SEED_BYTES};
use rand::{RngCore, rngs::OsRng};
use serde::{Deserialize, Serialize};

use crate::database::Database;
use crate::database::locks::hold;
use crate::disk::folders::{entries, make_private_folder};
use crate::disk::whole;
use crate::error::Error;
use crate::tables::schema;

/// The name of a model's file in the seal and in errors.
const WHAT: &str = "a model";
const EXTENSION: &str = "model";
/// The lattice of every model.
const MODEL_SET: LatticeSet = LatticeSet::N2048Q47;

/// A model to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewModel {
    /// The name by which clients ask for it.
    pub name: String,
    /// Says what features and classes mean. Clients get it.
    pub public: Vec<u8>,
    /// Features, F.
    pub features: u16,
    /// Classes, C.
    pub classes: u32,
    /// Weights `[class][feature]`, each -127 to 127. They never leave the server.
    pub weights: Vec<i8>,
    /// What training needs to add a class. It never leaves the server.
    pub training: Vec<u8>,
}

/// A model as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// Its name.
    pub name: String,
    /// Features, F.
    pub features: u16,
    /// Classes, C.
    pub classes: u32,
}

/// A stored model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredModel {
    /// The model.
    pub model: NewModel,
    /// Seed of the public masks.
    pub seed: [u8; SEED_BYTES],
    /// Secret seed of the values that hide the weights in the hints. It is new whenever the model is replaced.
    pub blind: [u8; BLIND_SEED_BYTES],
}

/// The models in a database's folder.
#[derive(Debug, Default)]
pub struct StoredModels {
    /// Undamaged models, by name.
    pub sound: Vec<StoredModel>,
    /// Files that are damaged: their models must be trained again.
    pub damaged: Vec<PathBuf>,
    /// Why other files cannot be read.
    pub unreadable: Vec<Error>,
}

impl Database {
    /// Stores a model, and replaces an older one of the same name. It is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::ModelName`], [`Error::TooManyModels`], [`Error::Psi`] for a model that could not be served,
    /// [`Error::File`], [`Error::NoRoom`].
    pub fn put_model(&self, model: NewModel) -> Result<(), Error> {
        if !ModelOffer::is_name(&model.name) {
            return Err(Error::ModelName);
        }
        model.check()?;
        let _writing = hold(&self.writer);
        let path = path_of(self.folder(), &model.name);
        if !path.exists() && self.models()?.sound.len() >= MAX_MODELS {
            return Err(Error::TooManyModels { most: MAX_MODELS });
        }
        make_private_folder(&folder_of(self.folder()))?;
        whole::flush_folder(self.folder())?;
        let (mut seed, mut blind) = ([0; SEED_BYTES], [0; BLIND_SEED_BYTES]);
        OsRng.fill_bytes(&mut seed);
        OsRng.fill_bytes(&mut blind);
        let record = schema::encode(&StoredModel { model, seed, blind });
        self.device.need_room(record.len() as u64)?;
        whole::write_sealed(&path, WHAT, &record)?;
        whole::flush_folder(&folder_of(self.folder()))
    }

    /// All models.
    ///
    /// # Errors
    /// [`Error::File`] for the folder. A file that cannot be used is no error here: one model must not keep the others
    /// from being served.
    pub fn models(&self) -> Result<StoredModels, Error> {
        read_all(self.folder())
    }

    /// Deletes a model. Returns whether there was one of this name.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn remove_model(&self, name: &str) -> Result<bool, Error> {
        let _writing = hold(&self.writer);
        let path = path_of(self.folder(), name);
        match fs::remove_file(&path) {
            Ok(()) => whole::flush_folder(&folder_of(self.folder())).map(|()| true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(Error::File { path, source }),
        }
    }
}

/// The models in a database's folder.
pub(crate) fn read_all(folder: &Path) -> Result<StoredModels, Error> {
    let mut models = StoredModels::default();
    for path in entries(&folder_of(folder))? {
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue; // an unfinished file
        }
        match read(&path) {
            Ok(model) if path == path_of(folder, &model.model.name) => models.sound.push(model),
            Ok(_) | Err(Error::Damaged { .. } | Error::Psi(_)) => models.damaged.push(path),
            Err(other) => models.unreadable.push(other),
        }
    }
    models.sound.sort_by(|a, b| a.model.name.cmp(&b.model.name));
    models.damaged.sort();
    Ok(models)
}

fn read(path: &Path) -> Result<StoredModel, Error> {
    decode(&whole::read_sealed(path, WHAT)?)
}

/// Decodes the content of a sealed file.
pub(crate) fn decode(bytes: &[u8]) -> Result<StoredModel, Error> {
    let stored: StoredModel = schema::decode(bytes, WHAT)?;
    stored.model.check()?;
    Ok(stored)
}

/// Deletes unfinished files that a crash left.
pub(crate) fn drop_unfinished(folder: &Path) -> Result<(), Error> {
    let unfinished = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "new");
    entries(&folder_of(folder))?
        .into_iter()
        .filter(unfinished)
        .try_for_each(|path| fs::remove_file(&path).map_err(|source| Error::File { path, source }))
}

impl NewModel {
    /// The model as a list shows it.
    pub fn summary(&self) -> ModelSummary {
        ModelSummary { name: self.name.clone(), features: self.features, classes: self.classes }
    }

    /// The shape in which it is served.
    ///
    /// # Errors
    /// [`Error::Psi`].
    pub fn spec(&self) -> Result<LinearSpec, Error> {
        Ok(LinearSpec::choose(MODEL_SET, self.features, self.classes)?)
    }

    /// Whether a daemon could serve it.
    fn check(&self) -> Result<(), Error> {
        let wrong = |what| Err(Error::Psi(psi::Error::ValueRange { what }));
        let expected = usize::from(self.features) * self.classes as usize;
        self.spec()?;
        if self.weights.len() != expected {
            let (what, actual) = ("weights", self.weights.len());
            return Err(Error::Psi(psi::Error::Length { what, actual, expected }));
        }
        if self.weights.iter().any(|weight| weight.unsigned_abs() > MAX_MAGNITUDE as u8) {
            return wrong("a model's weights");
        }
        if self.public.len() as u64 > PUBLIC_CAP { wrong("a model's public part") } else { Ok(()) }
    }
}

fn folder_of(folder: &Path) -> PathBuf {
    folder.join("models")
}

/// The file of a model. It is named by a digest, because model names may contain characters that file names may not.
fn path_of(folder: &Path, name: &str) -> PathBuf {
    let digest = Digest::of(name.as_bytes()).to_string();
    folder_of(folder).join(&digest[..32]).with_extension(EXTENSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fingerprint::Settings;

    fn model(name: &str, weight: i8) -> NewModel {
        let (features, classes) = (3, 2);
        let (public, training) = (name.as_bytes().to_vec(), vec![7]);
        NewModel { name: name.into(), public, features, classes, weights: vec![weight; 6], training }
    }

    #[test]
    fn models_stay_are_replaced_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Database::open_or_create(folder.path(), Settings::default()).unwrap();
        let database = open();
        assert!(database.models().unwrap().sound.is_empty());
        database.put_model(model("moods", 1)).unwrap();
        database.put_model(model("../voices / Stimmen", 2)).unwrap();
        let first = database.models().unwrap().sound;
        assert_eq!(first.iter().map(|stored| stored.model.weights[0]).collect::<Vec<_>>(), [2, 1]);
        database.put_model(model("moods", 3)).unwrap();
        drop(database);
        let database = open();
        let second = database.models().unwrap().sound;
        assert_eq!(second[0], first[0]);
        assert_eq!(second[1].model, model("moods", 3));
        assert!(second[1].blind != first[1].blind && second[1].seed != first[1].seed);
        assert!(database.remove_model("moods").unwrap() && !database.remove_model("moods").unwrap());
        assert_eq!(database.models().unwrap().sound.len(), 1);
        for name in ["", "a\nb", &"x".repeat(65)] {
            assert!(matches!(database.put_model(model(name, 1)), Err(Error::ModelName)), "{name:?}");
        }
        // A model that no daemon could serve must not replace one that is served.
        database.put_model(model("moods", 5)).unwrap();
        for bad in [
            NewModel { features: 0, weights: Vec::new(), ..model("moods", 1) },
            NewModel { classes: 0, weights: Vec::new(), ..model("moods", 1) },
            NewModel { features: 2049, classes: 1, weights: vec![0; 2049], ..model("moods", 1) },
            NewModel { weights: vec![0; 5], ..model("moods", 1) },
            model("moods", -128),
        ] {
            assert!(matches!(database.put_model(bad), Err(Error::Psi(_))));
        }
        assert_eq!(database.models().unwrap().sound[0].model.weights[0], 2);
        assert_eq!(database.models().unwrap().sound[1].model.weights[0], 5);
    }

    #[test]
    fn a_damaged_model_is_told_and_the_others_are_served() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_or_create(folder.path(), Settings::default()).unwrap();
        database.put_model(model("moods", 1)).unwrap();
        database.put_model(model("voices", 2)).unwrap();
        let path = path_of(folder.path(), "moods");
        let mut bytes = fs::read(&path).unwrap();
        bytes[10] ^= 1;
        fs::write(&path, &bytes).unwrap();
        // An intact file under the name of another model counts as damage, too.
        fs::copy(path_of(folder.path(), "voices"), path_of(folder.path(), "other")).unwrap();
        let models = database.models().unwrap();
        assert_eq!(
            models.sound.iter().map(|stored| stored.model.name.as_str()).collect::<Vec<_>>(),
            ["voices"]
        );
        assert!(models.damaged.len() == 2 && models.damaged.contains(&path));
        // A file that cannot be read now may be readable later. It is reported and kept.
        let odd = path_of(folder.path(), "odd");
        fs::create_dir(&odd).unwrap();
        assert_eq!(database.models().unwrap().unreadable.len(), 1);
        fs::write(path.with_extension("new"), b"half").unwrap();
        drop(database);
        let report = crate::check(folder.path(), false).unwrap();
        assert_eq!(report.damages.len(), 3, "{report:?}");
        let repaired = crate::check(folder.path(), true).unwrap();
        assert_eq!(repaired.damages.iter().filter(|damage| damage.repaired).count(), 2, "{repaired:?}");
        assert!(odd.exists());
        fs::remove_dir(odd).unwrap();
        Database::open(folder.path()).unwrap();
        assert!(!path.with_extension("new").exists());
        assert!(!repaired.is_sound(), "something must be trained again");
        assert!(crate::check(folder.path(), false).unwrap().is_sound());
    }
}

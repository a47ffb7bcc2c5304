//! Both parts of a model together, as the server has them.

use crate::error::{ModelError, TrainError};
use crate::lda::class_means;
use crate::public::Public;
use crate::secret::Secret;
use crate::train::Example;

/// A trained model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    public: Public,
    secret: Secret,
}

impl Model {
    /// Puts the two parts together.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] unless both have the same number of classes.
    pub fn new(public: Public, secret: Secret) -> Result<Model, ModelError> {
        if public.labels().len() == secret.classes() {
            Ok(Model { public, secret })
        } else {
            Err(ModelError::Mismatch)
        }
    }

    /// What clients hold.
    pub fn public(&self) -> &Public {
        &self.public
    }

    /// What the server keeps.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Both parts.
    pub fn into_parts(self) -> (Public, Secret) {
        (self.public, self.secret)
    }

    /// Adds a class at the end. The other classes and the calibration stay the same, bit for bit. Ignores the
    /// class that the examples name.
    ///
    /// # Errors
    /// [`TrainError::Recordings`] without examples; [`TrainError::Model`] for a label that cannot be added.
    pub fn add_class(&mut self, label: &str, examples: &[Example]) -> Result<(), TrainError> {
        let vectors: Vec<Vec<f32>> =
            examples.iter().map(|example| self.public.standard().apply(&example.features)).collect();
        let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        let Some(mean) = class_means(&vectors, &vec![0; vectors.len()], 1).pop().flatten() else {
            return Err(TrainError::Recordings { label: label.to_owned(), found: 0, needed: 1 });
        };
        self.public.push_label(label.to_owned())?;
        self.secret.push(&mean);
        Ok(())
    }

    /// Removes a class. Those after it move up by one.
    ///
    /// # Errors
    /// [`ModelError::Unknown`].
    pub fn remove_class(&mut self, label: &str) -> Result<(), ModelError> {
        let class = self.public.remove_label(label)?;
        self.secret.remove(class);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::NOISE_LEVELS;
    use crate::testing::{track, tune_of, tunes};
    use crate::{Calibration, FEATURES, Kind, Threshold, add_noise, lead};

    fn answer(model: &Model, samples: &[f32]) -> String {
        let question = model.public().question(samples).unwrap();
        let verdict = model.public().verdict(&model.secret().scores(&question).unwrap()).unwrap();
        model.public().labels()[verdict.ranked[0].class].clone()
    }

    #[test]
    fn names_what_it_was_trained_on_through_noise() {
        let (model, report) = tunes(5);
        for number in 0..5 {
            let heard = add_noise(&tune_of(number), NOISE_LEVELS[1], 1 << 40);
            assert_eq!(answer(&model, &heard), format!("tune {number}"));
        }
        assert_eq!(report.recordings, 10);
        assert!(report.quantised >= 0.9 && report.same >= 0.9, "{report:?}");
        assert_eq!(report.confusion.values().sum::<u32>(), 10);
    }

    #[test]
    fn a_class_comes_and_goes_and_the_others_stay() {
        let (before, _) = tunes(4);
        let mut model = before.clone();
        model.add_class("another", &track(6)).unwrap();
        assert_eq!(answer(&model, &tune_of(6)), "another");
        for class in 0..4 {
            assert_eq!(model.secret().weights(class), before.secret().weights(class));
        }
        assert_eq!(model.secret().weights(5), None);
        let twice = model.add_class("another", &track(6)).unwrap_err();
        assert_eq!(twice, TrainError::Model(ModelError::Duplicate("another".to_owned())));
        assert!(matches!(model.add_class("nothing", &[]), Err(TrainError::Recordings { found: 0, .. })));
        model.remove_class("tune 1").unwrap();
        assert_eq!(model.secret().weights(1), before.secret().weights(2));
        assert_eq!(answer(&model, &tune_of(2)), "tune 2");
        assert_eq!(answer(&model, &tune_of(6)), "another");
        assert_eq!(model.remove_class("tune 1"), Err(ModelError::Unknown("tune 1".to_owned())));
        model.remove_class("another").unwrap();
        assert_eq!((model.public().labels().len(), model.secret().classes()), (3, 3));
    }

    #[test]
    fn five_thousand_classes() {
        let (mut model, _) = tunes(2);
        let vectors = track(3);
        let mut further = vectors[0].clone();
        for class in 2..5_000usize {
            // Moves each away from the tune's features, in its own direction.
            for (place, feature) in further.features.iter_mut().enumerate() {
                let sign =
                    if (class.wrapping_mul(2_654_435_761) >> (place % 32)) & 1 == 0 { 1.0 } else { -1.0 };
                *feature = vectors[0].features[place] + sign * 0.1 * ((class * (place + 1)) % 17) as f32;
            }
            if class < 40 {
                model.add_class(&format!("class {class}"), std::slice::from_ref(&further)).unwrap();
            } else {
                let copy = model.secret().weights(2 + class % 30).unwrap().to_vec();
                model.secret.push_weights(&copy);
                model.public.push_label(format!("class {class}")).unwrap();
            }
        }
        let question = model.public().question(&tune_of(0)).unwrap();
        let scores = model.secret().scores(&question).unwrap();
        let verdict = model.public().verdict(&scores).unwrap();
        assert_eq!((verdict.ranked.len(), verdict.ranked[0].class), (5_000, 0));
        let sum: f32 = verdict.ranked.iter().map(|ranked| ranked.probability).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{sum}");
        let public = Public::decode(&model.public().encode()).unwrap();
        let secret = Secret::decode(&model.secret().encode()).unwrap();
        assert_eq!(Model::new(public, secret).unwrap(), model);
    }

    #[test]
    fn the_lead_decides_whatever_the_scale() {
        let (model, _) = tunes(4);
        let standard = model.public().standard().clone();
        let labels = model.public().labels().to_vec();
        let threshold = Threshold::Lead(2.0);
        let calibration = Calibration { slope: 1e-3, threshold, false_accepts: 0.0, false_rejects: 0.0 };
        let public = Public::new("x".to_owned(), Kind::Tracks, standard, labels, calibration).unwrap();
        let accepted = |scores: [i32; 4]| public.verdict(&scores).unwrap().accepted;
        for scale in [1, 1_000, 1 << 20] {
            // The root mean square of the others is 2.94: the root of (16 + 1 + 9) / 3.
            assert!(accepted([4, 6, 1, -3].map(|score| score * scale)));
            assert!(!accepted([4, 5, 1, -3].map(|score| score * scale)));
            assert!(!accepted([-4, -6, -1, -3].map(|score| score * scale)));
        }
        assert!(accepted([0, 1, 0, 0]) && !accepted([0; 4]));
        assert_eq!(lead([3.0].into_iter()), f32::INFINITY);
        assert_eq!(lead(std::iter::empty()), 0.0);
    }

    #[test]
    fn an_older_format_is_refused_and_says_what_to_do() {
        let (model, _) = tunes(2);
        for bytes in [model.public().encode(), model.secret().encode()] {
            assert_eq!(bytes[0], 2);
        }
        let mut bytes = model.public().encode();
        bytes[0] = 1;
        let error = Public::decode(&bytes).unwrap_err();
        assert_eq!(error, ModelError::Format { found: Some(1) });
        assert!(error.to_string().ends_with("train it again"), "{error}");
    }

    #[test]
    fn parts_of_different_models_are_refused() {
        let ((two, _), (three, _)) = (tunes(2), tunes(3));
        let (public, _) = two.into_parts();
        let (_, secret) = three.into_parts();
        assert_eq!(Model::new(public, secret), Err(ModelError::Mismatch));
    }

    #[test]
    fn wrong_names_are_refused() {
        let (model, _) = tunes(2);
        let standard = model.public().standard().clone();
        let threshold = Threshold::Score(0);
        let calibration = Calibration { slope: 1e-3, threshold, false_accepts: 0.0, false_rejects: 0.0 };
        let made = |name: &str, labels: &[&str], calibration| {
            let labels = labels.iter().map(|&label| label.to_owned()).collect();
            Public::new(name.to_owned(), Kind::Groups, standard.clone(), labels, calibration)
        };
        assert!(made("fine", &["a", "b"], calibration).is_ok());
        assert_eq!(made("", &["a"], calibration), Err(ModelError::Name));
        assert_eq!(made(&"x".repeat(65), &["a"], calibration), Err(ModelError::Name));
        assert_eq!(made("x", &["a\u{1b}"], calibration), Err(ModelError::Label));
        assert_eq!(made("x", &["a", "a"], calibration), Err(ModelError::Duplicate("a".to_owned())));
        let steep = Calibration { slope: f32::NAN, ..calibration };
        assert_eq!(made("x", &["a"], steep), Err(ModelError::Range("slope")));
        let endless = Calibration { threshold: Threshold::Lead(f32::NAN), ..calibration };
        assert_eq!(made("x", &["a"], endless), Err(ModelError::Range("threshold")));
        assert_eq!(model.public().features(), FEATURES);
    }
}

-- expect: drifted table measurement_2024: index aside
CREATE INDEX aside ON measurement_2024 (taken_on, amount);

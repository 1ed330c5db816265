-- expect: drifted table measurement_2024: partition bound; inherits; constraint measurement_2024_pkey
ALTER TABLE measurement DETACH PARTITION measurement_2024;

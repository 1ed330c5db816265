-- An index that its partitions do not have yet; ON ONLY is how one is made without a long lock.
-- expect: drifted table measurement: index measurement_amount_idx
-- expect: drifted table measurement_2024: index measurement_2024_amount_idx
DROP INDEX measurement_amount_idx;
CREATE INDEX measurement_amount_idx ON ONLY measurement (amount);

-- expect: drifted table measurement: partition key; index measurement_amount_idx
-- expect: missing table measurement_2024
DROP TABLE measurement;
CREATE TABLE measurement (
    taken_on date NOT NULL,
    amount numeric,
    CONSTRAINT measurement_pkey PRIMARY KEY (taken_on)
);
CREATE INDEX measurement_amount_idx ON measurement (amount);

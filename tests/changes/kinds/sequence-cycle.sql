-- expect: drifted sequence invoice_number: definition
ALTER SEQUENCE invoice_number CYCLE;

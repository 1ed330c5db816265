-- expect: missing sequence invoice_number
DROP SEQUENCE invoice_number;

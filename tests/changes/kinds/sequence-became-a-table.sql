-- expect: drifted table invoice_number: kind; definition; column n
DROP SEQUENCE invoice_number;
CREATE TABLE invoice_number (n integer);

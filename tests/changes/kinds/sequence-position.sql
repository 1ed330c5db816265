-- expect: ok
SELECT nextval('invoice_number'), setval('invoice_number', 5000);

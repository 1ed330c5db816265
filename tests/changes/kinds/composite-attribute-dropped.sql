-- expect: drifted type address: column zip
ALTER TYPE address DROP ATTRIBUTE zip;

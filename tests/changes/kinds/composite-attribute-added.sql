-- expect: drifted type address: column city
ALTER TYPE address ADD ATTRIBUTE city text;

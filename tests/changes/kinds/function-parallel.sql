-- expect: drifted function doubled(text): definition
ALTER FUNCTION doubled(text) PARALLEL SAFE;

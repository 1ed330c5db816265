-- expect: drifted function doubled(text): definition
ALTER FUNCTION doubled(text) CALLED ON NULL INPUT;

-- expect: missing function doubled(text)
DROP FUNCTION doubled(text);

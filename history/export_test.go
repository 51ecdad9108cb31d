package history

import "testing"

// PutFormerKey records the key of digests as an earlier version did.
func PutFormerKey(t *testing.T, s *Store, key []byte) {
	t.Helper()
	if err := s.put(formerKey, key); err != nil {
		t.Fatal(err)
	}
}

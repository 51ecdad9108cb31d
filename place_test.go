package kargo_test

import (
	"encoding/json"
	"testing"

	"kargo"
)

// What the API shows of places stays what it was: a text where it was one, two
// fields where it was two.
func TestPlacesInJSON(t *testing.T) {
	at := kargo.Place{File: "company:deploy/redis.yml", Line: 12}
	for want, value := range map[string]any{
		`{"variable":"TAG","image":"redis","line":"company:deploy/redis.yml:12"}`: &kargo.ImageRule{Variable: "TAG", Image: "redis", Where: at},
		`{"variable":"TAG","image":"redis"}`:                                      &kargo.ImageRule{Variable: "TAG", Image: "redis"},
		`{"path":"company:deploy/redis.yml","line":12,"message":"is odd"}`:        &kargo.Problem{Where: at, Message: "is odd"},
		`{"message":"is odd","warning":true}`:                                     &kargo.Problem{Message: "is odd", Warning: true},
	} {
		got, err := json.Marshal(value)
		if err != nil || string(got) != want {
			t.Errorf("wrote %s, error %v, want %s", got, err, want)
		}
		if err := json.Unmarshal([]byte(want), value); err != nil {
			t.Error(err)
		}
		if again, err := json.Marshal(value); err != nil || string(again) != want {
			t.Errorf("read and wrote %s, error %v, want %s", again, err, want)
		}
	}
}

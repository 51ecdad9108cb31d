package view_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"kargo/render/view"
)

// Questions come to another process as they are, whatever names are in them; what was cut
// off is an error.
func TestQuestionsTravel(t *testing.T) {
	asked := view.Questions{
		Variables: []string{"", "A", "\xff//\n"}, Files: []string{"configs/a b"}, Hidden: []string{"PASSWORD"},
	}
	text, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	var got view.Questions
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, asked) {
		t.Errorf("got %q, %v", got, err)
	}
	var data []byte
	if err := json.Unmarshal(text, &data); err != nil {
		t.Fatal(err)
	}
	for end := range data {
		cut, _ := json.Marshal(data[:end])
		if err := json.Unmarshal(cut, &got); err == nil {
			t.Errorf("the first %d of %d bytes are no error", end, len(data))
		}
	}
}

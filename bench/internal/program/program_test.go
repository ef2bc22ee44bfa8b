package program

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestAProgramThatIsGivenIsNotBuilt(t *testing.T) {
	want, err := filepath.Abs("penstock")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Penstock(t.TempDir(), "penstock"); got != want || err != nil {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

func TestWhyAProgramCannotBeBuiltIsSaid(t *testing.T) {
	_, err := Build(t.TempDir(), "nothing/there")
	if err == nil || !strings.Contains(err.Error(), "bench/nothing/there: exit status 1: ") {
		t.Errorf("error %v", err)
	}
}

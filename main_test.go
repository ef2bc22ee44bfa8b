package penstock

import (
	"fmt"
	"os"
	"testing"
)

// TestMain fails the whole run if any test has left a page behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if n := PagesInUse(); code == 0 && n != 0 {
		fmt.Fprintf(os.Stderr, "%d pages are in use after all tests\n", n)
		code = 1
	}
	os.Exit(code)
}

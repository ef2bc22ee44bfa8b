package penstock_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/penstock-io/penstock"
)

// What a Copy will do can be told before it does it.
func ExampleExplain() {
	var b bytes.Buffer
	told, err := penstock.Explain(&b, strings.NewReader("not moved"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(told)
	fmt.Println(b.Len(), "bytes")
	// Output:
	// read/write (a plain reader)
	// 0 bytes
}

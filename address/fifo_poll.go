//go:build unix && !linux

package address

import (
	"context"
	"os"
)

// awaitWriter looks: not every kqueue tells of a FIFO's first writer.
func awaitWriter(ctx context.Context, f *os.File) error { return lookForWriter(ctx, f) }

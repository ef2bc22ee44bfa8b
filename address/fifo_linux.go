package address

import (
	"context"
	"os"
	"time"
)

// awaitWriter waits for the first writer in the runtime's poller, which is told of it.
func awaitWriter(ctx context.Context, f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if f.SetReadDeadline(time.Time{}) != nil { // not one that the poller takes
		return lookForWriter(ctx, f)
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = f.SetReadDeadline(past)
		close(interrupted)
	})
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		var there bool
		there, failed = hasWriter(int(fd))
		return there || failed != nil
	})
	if !stop() {
		<-interrupted
		return context.Cause(ctx)
	}
	if err == nil {
		err = failed
	}
	return err
}

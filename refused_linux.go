package penstock

import "fmt"

// kernelPipesRefused returns why there are to be no kernel pipes in this process, or nil: without splice a kernel pipe
// has nothing over one in memory, and without tee nobody could look at what it holds, or have what a sink did not take
// stay in it. It is then as on a system that has none, and whoever wants a pipe takes a [Pipe], with which everything
// is right.
func kernelPipesRefused() error {
	for _, v := range []kernelVerb{verbSplice, verbTee} {
		if err := verbRefused(v); err != nil {
			return &OpError{Op: "open", Side: SidePipe, Err: fmt.Errorf("%w: %w", ErrNoKernelPipe, err)}
		}
	}
	return nil
}

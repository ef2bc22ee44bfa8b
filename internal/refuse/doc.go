// Package refuse makes system calls fail, as a sandbox does, for tests: Linux's seccomp(2), without libseccomp.
//
// A filter holds for the whole process, and for good. So a test that wants one runs the test binary anew: see Reexec,
// for a test that is written for it, and Run, for tests that know nothing of it.
//
// Elsewhere than on Linux there is nothing here.
package refuse

//go:build linux && !amd64 && !arm64

package refuse

const architecture = 0

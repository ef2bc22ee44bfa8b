//go:build !unix

package relays

const nonBlock = 0

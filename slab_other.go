//go:build !linux

package penstock

func mapMemory(int) []byte { return nil }
func unmapMemory([]byte)   {}

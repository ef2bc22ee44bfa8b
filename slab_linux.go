package penstock

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapMemory returns n bytes of anonymous memory, aligned to n, or nil if the system has none to give (RLIMIT_AS, say).
// Precondition: n is a power of two.
func mapMemory(n int) []byte {
	twice, err := unix.MmapPtr(-1, 0, nil, uintptr(2*n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil
	}
	before := -uintptr(twice) & uintptr(n-1)
	aligned := unsafe.Add(twice, before)
	if before > 0 {
		_ = unix.MunmapPtr(twice, before) // fails only for arguments that are not a mapping's
	}
	_ = unix.MunmapPtr(unsafe.Add(aligned, n), uintptr(n)-before)
	b := unsafe.Slice((*byte)(aligned), n)
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // an advice: a kernel without huge pages refuses it
	return b
}

func unmapMemory(b []byte) {
	_ = unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b)))
}

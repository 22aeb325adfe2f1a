package fsx

// behindStep is how many bytes of a file are written before the kernel is
// asked to start putting them on disk.
const behindStep = 4 << 20

// WriteBehind starts write-back of the full steps of 4 MiB that a write of n
// bytes at off has completed, so that the fsync at the end of a file that is
// written in order finds little to do. It is a hint only: the fsync tells of
// errors.
func WriteBehind(f File, off, n int64) {
	if from, to := off/behindStep, (off+n)/behindStep; to > from {
		_ = f.StartWriteback(from*behindStep, (to-from)*behindStep)
	}
}

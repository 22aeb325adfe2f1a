package compress

import "fmt"

// raw is the codec of algorithm none: nothing ever gets smaller.
type raw struct{}

func (raw) Compress(dst, src []byte) ([]byte, bool, error) {
	return dst, false, checkSource(None, src)
}

func (raw) Decompress(dst, src []byte) error {
	n := copy(dst, src)
	switch {
	case n < len(dst):
		return &CorruptError{None, len(dst), n, ErrShort}
	case n < len(src):
		return &CorruptError{None, len(dst), n, ErrLong}
	}
	return nil
}

// checkSource refuses what no codec was made for.
func checkSource(alg Algorithm, src []byte) error {
	if len(src) > MaxPage {
		return fmt.Errorf("compress %s page: %d bytes are more than %d", alg, len(src), MaxPage)
	}
	return nil
}

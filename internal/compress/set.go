package compress

// Set keeps the codecs that one worker has used: the files of a chain, and
// row-compressed relations beside others, may need several. The zero Set is
// ready; it is not safe for concurrent use.
type Set struct {
	made []madeCodec
}

type madeCodec struct {
	alg   Algorithm
	level int
	codec Codec
}

// Get returns the codec for an algorithm and level, nil for None and
// Undefined. For decompression any level does.
func (s *Set) Get(alg Algorithm, level int) (Codec, error) {
	if alg == None || alg == Undefined {
		return nil, nil
	}
	for _, m := range s.made {
		if m.alg == alg && m.level == level {
			return m.codec, nil
		}
	}
	c, err := New(alg, level)
	if err != nil {
		return nil, err
	}
	s.made = append(s.made, madeCodec{alg, level, c})
	return c, nil
}

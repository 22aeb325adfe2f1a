package compress

import (
	"fmt"
	"testing"
)

// The benchmarks run over the golden pages, one page per operation.

func BenchmarkCompress(b *testing.B) {
	pages := realPages(b)
	for _, alg := range packing {
		for _, level := range []int{1, 9} {
			if level > 1 && (alg == PGLZ || alg == LZ4) {
				continue // no levels
			}
			b.Run(fmt.Sprintf("%s-%d", alg, level), func(b *testing.B) {
				c := newCodec(b, alg, level)
				dst := make([]byte, 0, 2*pageSize)
				b.SetBytes(pageSize)
				b.ReportAllocs()
				total, i := 0, 0
				for b.Loop() {
					out, ok, err := c.Compress(dst, pages[i%len(pages)])
					if err != nil {
						b.Fatal(err)
					}
					if ok {
						total += len(out)
					} else {
						total += pageSize
					}
					i++
				}
				b.ReportMetric(float64(total)/float64(i), "stored-B/page")
			})
		}
	}
}

func BenchmarkDecompress(b *testing.B) {
	pages := realPages(b)
	for _, alg := range packing {
		b.Run(alg.String(), func(b *testing.B) {
			c := newCodec(b, alg, 1)
			var packed [][]byte
			for _, page := range pages {
				if out, ok, err := c.Compress(nil, page); err != nil {
					b.Fatal(err)
				} else if ok {
					packed = append(packed, out)
				}
			}
			page := make([]byte, pageSize)
			b.SetBytes(pageSize)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := c.Decompress(page, packed[i%len(packed)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

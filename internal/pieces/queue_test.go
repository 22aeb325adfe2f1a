package pieces_test

import (
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"gsprobackup/internal/pieces"
)

// run works off a queue of files with the given numbers of pieces and tells
// how often each file was opened, each piece taken and each file ended.
func run(files []int, workers int) (opened []int, taken [][]int, ended []int) {
	opened, ended, taken = make([]int, len(files)), make([]int, len(files)), make([][]int, len(files))
	for i, n := range files {
		taken[i] = make([]int, n)
	}
	q := pieces.New[int](len(files))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				j, ok := q.Take()
				if !ok {
					return
				}
				if j.Open == nil {
					mu.Lock()
					opened[j.Item]++
					mu.Unlock()
					q.Opened(j.Item, files[j.Item])
					continue
				}
				f := j.Open.File
				mu.Lock()
				taken[f][j.Piece]++
				mu.Unlock()
				if q.Done(j.Open) {
					mu.Lock()
					ended[f]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return opened, taken, ended
}

// Whatever the files and however many workers, each piece is handed out once
// and each file with pieces ends once, after all of them.
func TestEveryPieceOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := rapid.SliceOfN(rapid.IntRange(0, 9), 0, 20).Draw(t, "files")
		workers := rapid.IntRange(1, 8).Draw(t, "workers")
		opened, taken, ended := run(files, workers)
		for i, n := range files {
			if opened[i] != 1 {
				t.Fatalf("file %d was opened %d times", i, opened[i])
			}
			for p, times := range taken[i] {
				if times != 1 {
					t.Fatalf("piece %d of file %d was taken %d times", p, i, times)
				}
			}
			if want := min(n, 1); ended[i] != want {
				t.Fatalf("file %d ended %d times", i, ended[i])
			}
		}
	})
}

// Pieces of an open file go first; files follow in their order.
func TestOrder(t *testing.T) {
	q := pieces.New[string](2)
	take := func() pieces.Job[string] {
		t.Helper()
		j, ok := q.Take()
		if !ok {
			t.Fatal("no job")
		}
		return j
	}
	if j := take(); j.Open != nil || j.Item != 0 {
		t.Fatalf("first job %+v", j)
	}
	q.Opened("a", 2)
	first, second := take(), take()
	if first.Open == nil || first.Open.File != "a" || first.Piece != 0 || second.Piece != 1 {
		t.Fatalf("jobs %+v, %+v", first, second)
	}
	if j := take(); j.Open != nil || j.Item != 1 {
		t.Fatalf("job after the pieces: %+v", j)
	}
	if q.Done(second.Open) {
		t.Error("the file ended before its first piece")
	}
	if !q.Done(first.Open) {
		t.Error("the file did not end")
	}
	q.Opened("", 0)
	if j, ok := q.Take(); ok {
		t.Errorf("a job too much: %+v", j)
	}
}

// A worker without work waits while another one opens a file, for it may have
// pieces for both.
func TestWaitForPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := pieces.New[int](1)
		if _, ok := q.Take(); !ok {
			t.Fatal("no job")
		}
		got := make(chan pieces.Job[int], 1)
		go func() {
			j, _ := q.Take()
			got <- j
		}()
		synctest.Wait()
		select {
		case j := <-got:
			t.Fatalf("the second worker did not wait: %+v", j)
		default:
		}
		q.Opened(7, 1)
		if j := <-got; j.Open == nil || j.Open.File != 7 {
			t.Errorf("job %+v", j)
		}
	})
}

// Stop wakes those that wait and ends the handing out.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := pieces.New[int](2)
		if _, ok := q.Take(); !ok {
			t.Fatal("no job")
		}
		if _, ok := q.Take(); !ok {
			t.Fatal("no job")
		}
		ended := make(chan bool, 1)
		go func() {
			_, ok := q.Take()
			ended <- ok
		}()
		synctest.Wait()
		q.Stop()
		if <-ended {
			t.Error("a job after Stop")
		}
		q.Opened(1, 3)
		if _, ok := q.Take(); ok {
			t.Error("a piece after Stop")
		}
	})
}

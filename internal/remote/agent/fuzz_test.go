package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
)

// canary is in every file an agent must not reach.
const canary = "canary-5f2c9e1b7a"

// rig is a served directory with links out of it, and what they lead to.
func rig(t testing.TB, dir string) (root string, check func()) {
	root, secret := filepath.Join(dir, "root"), filepath.Join(dir, "secret")
	for _, d := range []string{root + "/pg_tblspc", secret} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{root + "/1": strings.Repeat("x", 20000), root + "/PG_VERSION": "17\n", secret + "/key": canary} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"out": secret, "key": "../secret/key", "up": ".."} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root, func() {
		if got, err := os.ReadFile(secret + "/key"); string(got) != canary || err != nil {
			t.Errorf("the secret is now %q, %v", got, err)
		}
		if list, err := os.ReadDir(secret); len(list) != 1 || err != nil {
			t.Errorf("beside the secret there is %v, %v", list, err)
		}
		if list, err := os.ReadDir(dir); len(list) != 2 || err != nil {
			t.Errorf("beside the root there is %v, %v", list, err)
		}
	}
}

// rootWord stands for the served directory in fuzzed requests.
const rootWord = "/R"

func request(stream uint32, k kind, m message, bulk ...byte) []byte {
	body := append(encode(nil, m), bulk...)
	head := make([]byte, frameHeader)
	putHeader(head, frameMessage, k, stream, len(body))
	return append(head, body...)
}

// requestSeeds are sound requests of each kind, and escapes.
func requestSeeds() [][]byte {
	path := func(p string) *pathMessage { return &pathMessage{rootWord + p} }
	run := &runMessage{remote.RunRequest{Path: rootWord + "/1", To: 2, Alg: compress.Zstd, Level: 1}}
	small := &runMessage{remote.RunRequest{Path: rootWord + "/1", To: 2, Alg: compress.PGLZ, Compressed: &remote.CompressedFile{Rel: 1, MoveDir: rootWord}}}
	copied := &copyMessage{remote.CopyRequest{Path: rootWord + "/out/key", Units: remote.PageUnits}}
	odd := func(l pgdata.ExtentLayout) *runMessage {
		m := *small
		m.Compressed = &remote.CompressedFile{Layout: l}
		return &m
	}
	frames := blockfile.AppendFrame(nil, 1, make([]byte, blockfile.PageSize))
	write := &remote.WriteRequest{Path: rootWord + "/1", Alg: compress.None, Headers: []blockfile.Header{{Block: 1}}}
	seeds := [][]byte{
		request(1, kindAdmit, &pathsMessage{[]string{rootWord}}), request(1, kindStat, path("/1")), request(1, kindReadFile, &readFileMessage{rootWord + "/key", 100}),
		request(1, kindList, &listMessage{remote.ListRequest{Root: rootWord, FollowLinks: true}}), request(1, kindReadAt, &readAtMessage{rootWord + "/1", 5, 9}),
		request(1, kindCompressedInfo, path("/1")), request(1, kindReadRun, run), request(1, kindReadRun, small), request(1, kindCopyFile, copied),
		request(1, kindReadRun, odd(pgdata.PairOf3)), request(1, kindReadRun, odd(pgdata.MixedOf7)),
		request(1, kindChecksum, path("/1")), request(1, kindFileSums, &pathsMessage{[]string{rootWord + "/1", rootWord + "/up/secret/key"}}),
		request(1, kindPageSums, &sumMessage{remote.SumRequest{Path: rootWord + "/1", To: 3}}), request(1, kindMkdirAll, &pathMode{rootWord + "/up/x/y", 0o700}),
		request(1, kindSymlink, &twoPaths{"../secret", rootWord + "/pg_tblspc/1"}), request(1, kindRename, &twoPaths{rootWord + "/out", rootWord + "/pg_tblspc/2"}),
		request(1, kindRemove, path("/key")), request(1, kindRemoveAll, &pathsMessage{[]string{rootWord + "/out/key"}}), request(1, kindSyncDir, path("")),
		request(1, kindVolume, path("/1")), request(1, kindAlive, &int64Message{1}), request(1, kindChmod, &pathMode{rootWord + "/out", 0o777}),
		request(1, kindWriteRun, &rawMessage{encodeHead(nil, &writeMessage{write})}, frames...), request(1, kindWriteEnd, &empty{}),
	}
	file := bytes.Join([][]byte{
		request(2, kindCreateFile, &createMessage{rootWord + "/up/secret/key", remote.CreateOptions{Mode: 0o600}}), request(2, kindFileData, &bytesMessage{[]byte("data")}),
		request(2, kindFileHole, &int64Message{9}), request(2, kindTruncate, &int64Message{4}), request(2, kindFileSync, &empty{}), request(2, kindFileClose, &empty{}),
	}, nil)
	credit := []byte{4, 0, 0, 0, byte(frameCredit), 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0}
	end := []byte{0, 0, 0, 0, byte(frameClose), 0, 0, 0, 1, 0, 0, 0}
	return append(seeds, file, bytes.Join(seeds, nil), append(credit, end...))
}

// rawMessage is a body as it is.
type rawMessage struct{ b []byte }

func (m *rawMessage) fields(c *codec) { c.buf = append(c.buf, m.b...) }

// clientGreeting is what a client sends before its frames.
func clientGreeting() []byte {
	mine := self("fuzz", time.Minute)
	hello := mine.hello()
	g := greeting{handle: magic, arg: major<<16 | revision}
	return append(binary.LittleEndian.AppendUint32(g.bytes(), uint32(len(hello))), hello...)
}

// FuzzServe sends an agent anything. It does not panic, does not take much
// memory, and never touches a path outside its directory.
func FuzzServe(f *testing.F) {
	for _, seed := range requestSeeds() {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 0, 0, 1, 0, 0, 0}, true)
	f.Fuzz(func(t *testing.T, frames []byte, fixed bool) {
		root, check := rig(t, t.TempDir())
		opts := ServeOptions{Program: "fuzz", ReadOnly: !fixed, Heartbeat: time.Minute}
		opts.Dirs = []string{root}
		in := append(clientGreeting(), replacePaths(frames, root)...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var out lockedBuffer
		_ = Serve(context.Background(), bytes.NewReader(in), &out, opts)
		runtime.ReadMemStats(&after)
		requests := uint64(len(frames)/frameHeader + 4)
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20*requests {
			t.Errorf("%d bytes of memory for %d requests", used, requests)
		}
		check()
		if bytes.Contains(out.bytes(), []byte(canary)) {
			t.Error("the agent told the secret")
		}
	})
}

// replacePaths puts the real directory into texts that begin with rootWord,
// and mends the lengths before them.
func replacePaths(frames []byte, root string) (out []byte) {
	for len(frames) >= frameHeader {
		size := int(binary.LittleEndian.Uint32(frames))
		if size > len(frames)-frameHeader {
			break
		}
		head, body := frames[:frameHeader], frames[frameHeader:frameHeader+size]
		frames = frames[frameHeader+size:]
		var mended []byte
		for {
			at := bytes.Index(body, []byte(rootWord))
			if at < 4 {
				break
			}
			n := binary.LittleEndian.Uint32(body[at-4:])
			mended = append(mended, body[:at-4]...)
			mended = binary.LittleEndian.AppendUint32(mended, n+uint32(len(root)-len(rootWord)))
			mended = append(mended, root...)
			body = body[at+len(rootWord):]
		}
		mended = append(mended, body...)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(mended)))
		out = append(append(out, head[4:]...), mended...)
	}
	return append(out, frames...)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// fakeAgent is a link to a fixed sequence of bytes.
type fakeAgent struct{ in io.Reader }

func (f *fakeAgent) Start(context.Context, string) (Channel, error) { return f, nil }
func (f *fakeAgent) Read(p []byte) (int, error)                     { return f.in.Read(p) }
func (f *fakeAgent) Write(p []byte) (int, error)                    { return len(p), nil }
func (f *fakeAgent) CloseWrite() error                              { return nil }
func (f *fakeAgent) Wait() error                                    { return nil }
func (f *fakeAgent) Close() error                                   { return nil }

// FuzzAnswers has an agent answer anything to each method of the host. They
// return, with an error or what makes sense.
func FuzzAnswers(f *testing.F) {
	run := &remote.Run{Pages: 1}
	run.Frames = blockfile.AppendFrame(nil, 0, make([]byte, blockfile.PageSize))
	run.Headers = []blockfile.Header{{}}
	for _, body := range []message{
		&empty{}, &infoMessage{remote.FileInfo{Path: "a", Size: 9}}, &entriesMessage{[]infoMessage{{remote.FileInfo{Path: "../x"}}, {remote.FileInfo{Path: "y"}}}},
		&checksumAnswer{CRC: 1, Size: 2}, &fileSumsAnswer{[]remote.FileSum{{Size: 1}}}, &pageSumsAnswer{&remote.PageSums{Pages: []remote.PageSum{{}}}},
		&volumeAnswer{remote.Volume{ID: 1}}, errorFrom(&pgdata.CorruptionError{Path: "x", Reason: "y"}), &readAtAnswer{B: []byte("b")},
		&rawMessage{encodeHead(nil, &runAnswer{run})}, &compressedInfoAnswer{},
	} {
		for _, k := range []kind{kindDone, kindError, kindData, kindHole, kindEntries, kindTrouble} {
			f.Add(request(1, k, body, run.Frames...), uint8(k))
			f.Add(bytes.Join([][]byte{request(1, k, body), request(1, kindDone, &empty{}), request(2, k, body)}, nil), uint8(len(encode(nil, body))))
		}
	}
	f.Fuzz(func(t *testing.T, frames []byte, which uint8) {
		there := self("fuzz", time.Minute)
		hello := there.hello()
		g := greeting{handle: magic | answered, size: uint32(len(hello)), arg: major<<16 | revision}
		in := io.MultiReader(bytes.NewReader(append(g.bytes(), hello...)), bytes.NewReader(frames))
		// The stream the answers are for must be there before they come.
		gate := &gatedReader{r: in, free: greetingSize + len(hello), open: make(chan struct{})}
		host, err := Connect(context.Background(), &fakeAgent{gate}, ConnectOptions{Program: "fuzz", Where: "far", Channels: 1, Heartbeat: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		time.AfterFunc(0, func() { close(gate.open) })
		useHost(host, which)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20+uint64(16*len(frames)) {
			t.Errorf("%d bytes of memory", used)
		}
		_ = host.Close()
	})
}

// gatedReader gives only so many bytes before it is opened.
type gatedReader struct {
	r    io.Reader
	free int
	open chan struct{}
}

func (g *gatedReader) Read(p []byte) (int, error) {
	if g.free == 0 {
		<-g.open
		return g.r.Read(p)
	}
	n, err := g.r.Read(p[:min(len(p), g.free)])
	g.free -= n
	return n, err
}

type nullSink struct{}

func (nullSink) Data([]byte) error { return nil }
func (nullSink) Hole(int64) error  { return nil }

// useHost calls one method; all end at the latest with the fake agent's bytes.
func useHost(h remote.Host, which uint8) {
	ctx := context.Background()
	r, _ := h.NewReader()
	var run remote.Run
	var sums remote.PageSums
	switch which % 14 {
	case 0:
		_ = h.List(ctx, remote.ListRequest{Root: "/"}, func(remote.FileInfo) error { return nil })
	case 1:
		_, _ = h.Stat(ctx, "/x")
	case 2:
		_, _ = h.ReadFile(ctx, "/x", 100)
	case 3:
		_, _, _ = h.ReadAt(ctx, "/x", 0, 10)
	case 4:
		_, _ = h.CompressedInfo(ctx, "/x")
	case 5:
		_ = r.ReadRun(ctx, &remote.RunRequest{Path: "/x", To: 1}, &run)
	case 6:
		_, _ = r.CopyFile(ctx, remote.CopyRequest{Path: "/x"}, nullSink{})
	case 7:
		_, _, _ = r.Checksum(ctx, "/x")
	case 8:
		_, _ = r.FileSums(ctx, []string{"/x"})
	case 9:
		_ = r.PageSums(ctx, &remote.SumRequest{Path: "/x", To: 1}, &sums)
	case 10:
		if w, err := h.CreateFile(ctx, "/x", remote.CreateOptions{}); err == nil {
			_ = w.Data([]byte("x"))
			_ = w.Sync()
			_ = w.Close()
		}
	case 11:
		if w, err := h.NewWriter(); err == nil {
			_ = w.WriteRun(ctx, &remote.WriteRequest{Path: "/x"})
			_ = w.Close()
		}
	case 12:
		_, _ = h.Volume(ctx, "/x")
		_, _ = h.Alive(ctx, 1)
	case 13:
		_ = h.Admit(ctx, "/x")
	}
	if r != nil {
		_ = r.Close()
	}
}

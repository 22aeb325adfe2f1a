package server

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/wal"
)

// The vector of spec/server.md §1.4: user rep1, password Gauss@123.
const (
	gaussSalt  = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f01020304"
	gaussProof = "9b5a237a61ea01356f780059f012a52901bec8a55ba04b9a8d135cfc228d1699"
	gaussSig   = "58a0507fed937360de9b43f55a72f6e9508ecd13255a8441af02a9ca691de210"
	denied     = "could not connect to database postgres: FATAL:  Invalid username/password,login denied.\n"
)

func i32(v uint32) string { return string(binary.BigEndian.AppendUint32(nil, v)) }

// sha256Challenge is code 10 for any minor version.
func sha256Challenge(minor int) []byte {
	if minor < 50 {
		return []byte(i32(10) + i32(2) + gaussSalt + gaussSig)
	}
	return []byte(i32(10) + i32(2) + gaussSalt + i32(10000))
}

func fixed(payload string) func(int) []byte { return func(int) []byte { return []byte(payload) } }

func TestGaussLogins(t *testing.T) {
	md5Salt := "\xa1\xb2\xc3\xd4"
	cases := []struct {
		name      string
		challenge func(int) []byte
		answer    string
		oldest    bool
	}{
		{"trust", nil, "", false},
		{"trust, 3.0 only", nil, "", true},
		{"clear text", fixed(i32(3)), "Gauss@123", false},
		{"code 5", fixed(i32(5) + md5Salt), "md5a69ff9b9a48bd23a66217377e8ca7d3f", false},
		{"code 5, 3.0 only", fixed(i32(5) + md5Salt), "md5a69ff9b9a48bd23a66217377e8ca7d3f", true},
		{"code 10", sha256Challenge, gaussProof, false},
		{"code 10, 3.0 only", sha256Challenge, gaussProof, true},
		{"code 10 method 1", fixed(i32(10) + i32(1) + md5Salt), "sha256de5455b3105a8ca98f6eb43591b99e27991f5f45e6c95bcca6e0feab8249f78a", false},
		{"code 11", fixed(i32(11) + gaussSalt[:64] + md5Salt), "md5a785feb07a9d3f2232b7a40872ef6d67", false},
		{"code 13", fixed(i32(13) + i32(3) + gaussSalt + i32(10000)), "ba0515cc97ebf9a5541af112b96a378caf279e9ae831ffc2139d41722e6e26fe", false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.challenge, f.answer, f.oldest = tc.challenge, tc.answer, tc.oldest
			c := mustConnect(t, f.options())
			if fl := c.Flavor(); fl.Family() != pgdata.OpenGauss || fl.Major() != 9 || !strings.Contains(fl.Version(), "openGauss 6.0.2") {
				t.Errorf("flavor %v %d %q", fl.Family(), fl.Major(), fl.Version())
			}
			mustReplicate(t, c)
		})
	}
}

func TestGaussLoginErrors(t *testing.T) {
	noPrompt := func(context.Context, string) (string, error) {
		return "", errors.New("asked although a password was given")
	}
	cases := []struct {
		name  string
		setup func(f *fakeGauss, o *Options)
		want  string
	}{
		{"wrong password", func(_ *fakeGauss, o *Options) { o.Password, o.Prompt = "wrong", noPrompt }, denied},
		{"-w", func(_ *fakeGauss, o *Options) { o.Password, o.NoPassword, o.Prompt = "", true, noPrompt }, denied},
		{"PGPASSWORD is not for openGauss", func(_ *fakeGauss, o *Options) {
			o.Password, o.Env = "", env(map[string]string{"PGPASSWORD": "Gauss@123"})
		}, denied},
		{"empty answer", func(_ *fakeGauss, o *Options) {
			o.Password, o.Prompt = "", func(context.Context, string) (string, error) { return "", nil }
		}, "no password supplied"},
		{"locked account", func(f *fakeGauss, _ *Options) {
			f.refuse = &pgproto3.ErrorResponse{Severity: "FATAL", Code: "28000", Message: "The account has been locked."}
		}, "could not connect to database postgres: FATAL:  The account has been locked.\n"},
		{"IAM", func(f *fakeGauss, _ *Options) { f.challenge = fixed(i32(14)) },
			"could not connect to database postgres: unsupported authentication method\n"},
		{"port", func(_ *fakeGauss, o *Options) { o.Port = "70000" },
			"could not connect to database postgres: invalid port number: \"70000\"\n"},
		{"socket", func(_ *fakeGauss, o *Options) { o.Host, o.Port = "/nonexistent", "1" },
			"could not connect to database postgres: connect to server failed: No such file or directory\n"},
		{"nobody listens", func(_ *fakeGauss, o *Options) { o.Port = "1" },
			"could not connect to database postgres: could not connect to server: Operation now in progress\n" +
				"\tIs the server running on host \"127.0.0.1\" and accepting\n\tTCP/IP connections on port 1?\n"},
		{"host name", func(_ *fakeGauss, o *Options) { o.Host = "nosuch.invalid" },
			"could not connect to database postgres: could not translate host name \"nosuch.invalid\" to address: Name or service not known\n"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.challenge, f.answer = sha256Challenge, gaussProof
			o := f.options()
			tc.setup(f, &o)
			_, err := Connect(t.Context(), o)
			wantText(t, err, tc.want)
			if n := len(f.statements()); n > 1 {
				t.Errorf("%d wrong passwords were sent: misses lock the account", n)
			}
		})
	}
}

func TestCancelledConnect(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.challenge, f.answer = sha256Challenge, gaussProof
	o := f.options()
	o.Password = ""
	interrupted := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	o.Prompt = func(ctx context.Context, _ string) (string, error) {
		cancel(interrupted)
		return "", context.Cause(ctx)
	}
	if _, err := Connect(ctx, o); !errors.Is(err, interrupted) {
		t.Errorf("at the prompt: %v", err)
	}
	o.Password = "Gauss@123"
	if _, err := Connect(ctx, o); !errors.Is(err, interrupted) {
		t.Errorf("before: %v", err)
	}
}

// TestRecordedLogin replays the login of a real backup, both directions.
func TestRecordedLogin(t *testing.T) {
	t.Parallel()
	list := records(t, wireMain)
	port := replay(t, list, func(c *fakeConn) {
		f := &fakeGauss{t: t, query: func(string, []string) ([][]string, *pgproto3.ErrorResponse) { return [][]string{{"x"}}, nil }}
		f.session(c)
	})
	c := mustConnect(t, Options{
		Host: "127.0.0.1", Port: strconv.Itoa(port), User: "rep", Password: "Repl@12345", Database: "testdb",
		Env: env(map[string]string{"PGSSLMODE": "disable"}),
	})
	if v := c.pg.ParameterStatus("server_version"); v != "9.2.4" {
		t.Errorf("server_version %q", v)
	}
	if c.pg.PID() != 158 {
		t.Errorf("pid %d", c.pg.PID())
	}
}

// TestRecordedStream replays a replication connection up to the first reply.
func TestRecordedStream(t *testing.T) {
	t.Parallel()
	list := records(t, wireHA)
	port := replay(t, list, nil)
	d := &dialer{minor: 51, settings: &settings{
		Options: Options{Env: env(map[string]string{"PGSSLMODE": "disable"}), RWTimeout: time.Minute, Events: &recorder{}},
		hosts:   []string{"127.0.0.1"}, port: port, user: "rep", database: "testdb",
	}}
	r, err := (&Conn{d: d}).ConnectReplication(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(context.Background())
	sys, err := r.IdentifySystem(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if sys.SystemID != 215046882207064539 || sys.Timeline != 1 || sys.XLogPos != 0x4B000148 {
		t.Errorf("system %+v", sys)
	}
	wantText(t, sys.Check(Identity{SystemID: 1, Timeline: 1}),
		"System identifier mismatch. Connected openGauss instance has system id: 215046882207064539. Expected: 1.")
	s, err := r.StartReplication(t.Context(), (&openGauss{}).ReplicationStartCommand("", 0x4B000000, 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range list[34:] { // after START_REPLICATION and CopyBothResponse
		if rec.client {
			if err := s.Send(t.Context(), rec.bytes[5:]); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := s.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(rec.bytes[5:]) {
			t.Fatalf("received %q, recorded %q", got, rec.bytes[5:])
		}
	}
	if _, err := s.Receive(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("end of the recording: %v", err)
	}
}

// TestReplicationPorts: which port is asked first and what happens then.
func TestReplicationPorts(t *testing.T) {
	lower, upper := twoPorts(t)
	busy := &pgproto3.ErrorResponse{Severity: "ERROR", Code: "22023", Message: "replication should connect HA port in thread_pool"}
	main := serveFake(t, lower)
	c := mustConnect(t, main.options())
	r := mustReplicate(t, c)
	if r.Port != main.port { // nobody on port + 1 yet
		t.Errorf("port %d, want %d", r.Port, main.port)
	}
	ha := serveFake(t, upper())
	if r = mustReplicate(t, c); r.Port != ha.port {
		t.Errorf("port %d, want %d", r.Port, ha.port)
	}
	last := ha.startups[len(ha.startups)-1]
	if last["replication"] != "true" || last["database"] != "replication" || last["application_name"] != "gs_probackup" {
		t.Errorf("startup packet %v", last)
	}
	// without -p the order is the other way round
	o := main.options()
	o.Port, o.Env = "", env(map[string]string{"PGPORT": strconv.Itoa(main.port)})
	c = mustConnect(t, o)
	if r = mustReplicate(t, c); r.Port != main.port {
		t.Errorf("port %d, want %d", r.Port, main.port)
	}
	main.refuse = busy
	if r = mustReplicate(t, c); r.Port != ha.port {
		t.Errorf("port %d, want %d", r.Port, ha.port)
	}
	ha.refuse = busy
	_, err := c.ConnectReplication(t.Context())
	wantText(t, err, "could not connect to database postgres: ERROR:  replication should connect HA port in thread_pool\n")
}

// twoPorts listens on a port whose successor is free, too.
func twoPorts(t *testing.T) (net.Listener, func() net.Listener) {
	t.Helper()
	for {
		a, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		next := net.JoinHostPort("127.0.0.1", strconv.Itoa(a.Addr().(*net.TCPAddr).Port+1))
		b, err := net.Listen("tcp", next)
		if err != nil {
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		return a, func() net.Listener {
			b, err := net.Listen("tcp", next)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
}

func TestIdentifySystemFails(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	answer := [][]string(nil)
	f.query = func(sql string, _ []string) ([][]string, *pgproto3.ErrorResponse) {
		if sql == "IDENTIFY_SYSTEM" && answer == nil {
			return nil, &pgproto3.ErrorResponse{Severity: "FATAL", Code: "XX000", Message: "no"}
		}
		return answer, nil
	}
	o := f.options()
	rec := &recorder{}
	o.Events = rec
	c := mustConnect(t, o)
	_, err := mustReplicate(t, c).IdentifySystem(t.Context())
	wantText(t, err, "Cannot continue backup because stream connect has failed.")
	if !slices.Contains(rec.events, any(ReplicationCommandFailed{Command: "IDENTIFY_SYSTEM", Message: "FATAL:  no\n"})) {
		t.Errorf("events %v", rec.events)
	}
	answer = [][]string{{"abc", "1", "0/0", null}}
	_, err = mustReplicate(t, c).IdentifySystem(t.Context())
	wantText(t, err, "abc is not system_identifier")
}

func TestStartCommands(t *testing.T) {
	g, p := &openGauss{}, &postgres{major: 14}
	for got, want := range map[string]string{
		g.ReplicationStartCommand("", 0x4B000000, 1):               "START_REPLICATION 0/4B000000",
		g.ReplicationStartCommand("s1", 0x14B000000, 1):            `START_REPLICATION SLOT "s1" 1/4B000000`,
		p.ReplicationStartCommand(`a"b`, 0x4B000000, 26):           `START_REPLICATION SLOT "a""b" 0/4B000000 TIMELINE 26`,
		p.ReplicationStartCommand("", wal.LSN(0), wal.Timeline(1)): "START_REPLICATION 0/0 TIMELINE 1",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if _, ok := g.TempSlotCommand("x"); ok {
		t.Error("openGauss has no temporary slots")
	}
	if got, _ := p.TempSlotCommand("x"); got != `CREATE_REPLICATION_SLOT "x" TEMPORARY PHYSICAL RESERVE_WAL` {
		t.Error(got)
	}
	p.major = 15
	if got, _ := p.TempSlotCommand("x"); got != `CREATE_REPLICATION_SLOT "x" TEMPORARY PHYSICAL (RESERVE_WAL)` {
		t.Error(got)
	}
}

package source

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"sync"
)

// csvChunk is a run of whole records.
type csvChunk struct {
	number int
	line   int // of its first record
	b      []byte
	buf    []byte // what b is in, to be used again
}

// csvChunks cuts what follows the header into chunks that can be scanned side
// by side. Where no quote stands, a line break ends a record; else the records
// are parsed once more to find where one ends.
type csvChunks struct {
	r     *csvReader // behind the header
	spare sync.Pool
	next  csvChunk
	rest  []byte
	eof   bool
}

const chunkSize = 1 << 20

func newCSVChunks(r *csvReader) *csvChunks {
	c := &csvChunks{r: r, rest: r.buf[r.pos:r.end], eof: r.eof, next: csvChunk{line: r.next}}
	c.spare.New = func() any { return make([]byte, chunkSize) }
	return c
}

// chunk gives the next chunk, io.EOF at the end.
func (c *csvChunks) chunk() (*csvChunk, error) {
	if c.eof && len(c.rest) == 0 {
		return nil, io.EOF
	}
	buf := c.spare.Get().([]byte)
	if len(buf) < 2*len(c.rest) {
		buf = make([]byte, 2*len(c.rest))
	}
	n := copy(buf, c.rest)
	for {
		for n < len(buf) && !c.eof {
			k, err := c.r.src.Read(buf[n:])
			n += k
			if errors.Is(err, io.EOF) {
				c.eof = true
			} else if err != nil {
				return nil, err
			}
		}
		if cut, line := c.cut(buf[:n]); cut > 0 || c.eof {
			out := c.next
			out.b, out.buf = buf[:cut], buf
			c.next = csvChunk{number: out.number + 1, line: line}
			c.rest = append([]byte(nil), buf[cut:n]...)
			return &out, nil
		}
		buf = append(buf, make([]byte, len(buf))...)
	}
}

// cut finds where the last whole record in b ends, and the line there.
func (c *csvChunks) cut(b []byte) (end, line int) {
	line = c.next.line
	if c.eof {
		return len(b), line
	}
	if bytes.IndexByte(b, '"') < 0 {
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			return i + 1, line + bytes.Count(b[:i+1], []byte{'\n'})
		}
	}
	r := &csvReader{delim: c.r.delim, next: line}
	for {
		n, err := r.parse(b[end:])
		if err == nil {
			end += n
			continue
		}
		if !errors.Is(err, errMore) {
			end = len(b) // malformed: whoever scans the chunk says how
		}
		return end, r.next
	}
}

// csvWorker scans chunks: what it sees joins that of the others at the end.
type csvWorker struct {
	f        *csvFile
	profiles []profile
	rows     int64
	reader   csvReader // flags of all its chunks
}

func (w *csvWorker) scan(c *csvChunk) error {
	w.reader.buf, w.reader.pos, w.reader.end, w.reader.eof = c.b, 0, len(c.b), true
	w.reader.delim, w.reader.next = w.f.delim, c.line
	return w.f.scanRecords(&w.reader, w.profiles, &w.rows)
}

// join adds what the worker saw to the file and its columns.
func (w *csvWorker) join() {
	f, r := w.f, &w.reader
	f.rows += w.rows
	f.ends |= r.ends
	f.longest = max(f.longest, r.longest)
	f.breaks, f.uneven = f.breaks || r.breaks, f.uneven || r.blanks
	for i, c := range f.columns {
		c.prof.merge(&w.profiles[i])
	}
}

// csvCrew is a number of workers on the chunks of one file.
type csvCrew struct {
	mu    sync.Mutex
	first int // the number of the chunk with err
	err   error
}

// failed notes the error of a chunk; that of the earliest chunk counts.
func (c *csvCrew) failed(number int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil || number < c.first {
		c.first, c.err = number, err
	}
}

func (c *csvCrew) stopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// scanChunks scans the file behind its header with several workers.
func scanChunks(f *csvFile, r *csvReader) error {
	chunks := newCSVChunks(r)
	crew := &csvCrew{}
	feed := make(chan *csvChunk)
	var workers []*csvWorker
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 8) {
		w := &csvWorker{f: f, profiles: make([]profile, len(f.columns))}
		workers = append(workers, w)
		wg.Go(func() {
			for c := range feed {
				if err := w.scan(c); err != nil {
					crew.failed(c.number, err)
				}
				chunks.spare.Put(c.buf) //nolint:staticcheck // a slice header is small beside its megabyte
			}
		})
	}
	for !crew.stopped() {
		c, err := chunks.chunk()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			crew.failed(int(^uint(0)>>1), err)
			break
		}
		feed <- c
	}
	close(feed)
	wg.Wait()
	for _, w := range workers {
		w.join()
	}
	return crew.err
}

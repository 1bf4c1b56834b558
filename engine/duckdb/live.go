package duckdb

/*
#cgo CFLAGS: -O3
#include <stdlib.h>
#include "live.h"
*/
import "C"

import (
	"runtime"
	"sync"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/supertable-go/supertable/engine"
)

// liveFunction is the scalar function's name in SQL.
const liveFunction = "st_live"

// liveSets are the dead rows that statements of one instance may ask for.
//
// The protocol of st_live(token, file_index, file_row_number):
//
//  1. Live registers a list of bitmaps under a token that is never used again,
//     and the caller writes the token into its SQL as a constant.
//  2. DuckDB calls the function with chunks of rows from any of its threads.
//     It answers under a read lock; what is not registered, is out of the list
//     or NULL ends the statement with an error, so no dead row is ever shown
//     and no live row hidden by mistake.
//  3. release takes the list away and waits for readers of the current chunk.
//
// The function is not volatile: its answer for a token never changes while the
// token is registered, and DuckDB pushes nothing below a volatile filter.
type liveSets struct {
	registry *C.st_registry

	mu     sync.Mutex
	last   uint64 // newest token; guarded by mu; only grows
	closed bool   // the registry is gone; guarded by mu
}

func newLiveSets() *liveSets { return &liveSets{registry: C.st_registry_new()} }

// register makes st_live known to the instance.
func (l *liveSets) register(c bindings.Connection) error {
	f := bindings.CreateScalarFunction()
	defer bindings.DestroyScalarFunction(&f)
	bindings.ScalarFunctionSetName(f, liveFunction)
	for _, id := range []bindings.Type{bindings.TypeUBigInt, bindings.TypeUBigInt, bindings.TypeBigInt} {
		t := bindings.CreateLogicalType(id)
		bindings.ScalarFunctionAddParameter(f, t)
		bindings.DestroyLogicalType(&t)
	}
	t := bindings.CreateLogicalType(bindings.TypeBoolean)
	defer bindings.DestroyLogicalType(&t)
	bindings.ScalarFunctionSetReturnType(f, t)
	bindings.ScalarFunctionSetSpecialHandling(f) // NULL arguments reach us
	bindings.ScalarFunctionSetExtraInfo(f, unsafe.Pointer(l.registry), nil)
	bindings.ScalarFunctionSetFunction(f, C.st_live_run)
	if bindings.RegisterScalarFunction(c, f) != bindings.StateSuccess {
		return &engine.Error{Class: "internal", Message: liveFunction + " was refused"}
	}
	return nil
}

// add registers dead and returns its token and what takes it away again. The
// bitmaps are not copied: they are pinned until then.
func (l *liveSets) add(dead [][]uint64) (token uint64, release func(), err error) {
	n := C.size_t(len(dead))
	files := (*C.st_bitmap)(C.calloc(n+1, C.size_t(unsafe.Sizeof(C.st_bitmap{}))))
	var pins runtime.Pinner
	list := unsafe.Slice(files, len(dead))
	for i, words := range dead {
		if len(words) > 0 {
			pins.Pin(&words[0])
			list[i].words = (*C.uint64_t)(unsafe.Pointer(&words[0]))
			list[i].nbits = C.uint64_t(len(words)) * 64
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	token = l.last
	if l.closed || C.st_registry_add(l.registry, C.uint64_t(token), files, C.uint64_t(n)) == 0 {
		pins.Unpin()
		return 0, nil, &engine.Error{Class: "internal", Message: "no room for the deleted rows"}
	}
	var once sync.Once
	return token, func() {
		once.Do(func() {
			l.remove(token)
			pins.Unpin()
		})
	}, nil
}

func (l *liveSets) remove(token uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		C.st_registry_remove(l.registry, C.uint64_t(token))
	}
}

// close ends the registry, after the instance.
func (l *liveSets) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		C.st_registry_free(l.registry)
	}
}

// Live registers the dead rows of a list of files; see engine.Conn. The token
// holds on every connection of the instance.
func (c *conn) Live(dead [][]uint64) (uint64, func(), error) {
	if c.closed {
		return 0, nil, errClosed
	}
	return c.db.live.add(dead)
}

package duckdb

import (
	"errors"

	"github.com/apache/arrow-go/v18/arrow/array"
)

type stream struct{}

func (s *stream) free() {}

func (c *conn) freeReleased() {}

func (c *conn) streamError(err error) error { return err }

func (c *conn) Stream(name string, r array.RecordReader) (func(), error) {
	return nil, errors.ErrUnsupported
}

func (c *conn) Live(dead [][]uint64) (uint64, func(), error) {
	return 0, nil, errors.ErrUnsupported
}

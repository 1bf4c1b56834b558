package main

import "fmt"

// phases prints where the time of a query of ours goes, for profiling.
func (b *bench) phases(sql string) {
	for range 3 {
		rows, err := b.peers.session.Query(b.ctx, sql, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		for rows.Next() {
		}
		_ = rows.Close()
		fmt.Println(rows.Report().Timings, rows.Report().FilesRead)
	}
}

package catalog

import "testing"

// TestFloor: the oldest snapshot that a reader of any process may look at.
func TestFloor(t *testing.T) {
	a := newCatalog(t, nil)
	b := openFolder(t, a.folder, nil)
	want := func(floor int64, running bool) {
		t.Helper()
		f, r, err := a.Floor(t.Context())
		if err != nil || r != running || r && f != floor {
			t.Errorf("floor %d, running %t, %v; want %d, %t", f, r, err, floor, running)
		}
	}
	want(0, false)
	one := a.Reading()
	one.At(7)
	want(7, true)
	two := b.Reading()
	two.At(5)
	three := b.Reading()
	three.At(6)
	want(5, true)
	two.End()
	two.End()
	want(6, true)
	three.End()
	want(7, true)
	one.End()
	want(0, false)
	// A reader that has not chosen yet is waited for.
	slow := b.Reading()
	go slow.At(3)
	want(3, true)
	slow.End()
	gone := b.Reading()
	go gone.End()
	want(0, false)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	want(0, false)
}

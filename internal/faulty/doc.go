// Package faulty makes what a SuperTable stands on fail without killing it:
// full disks, cancelled calls, damaged files, lost leases, moved folders. It
// holds tests only.
package faulty

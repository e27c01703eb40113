//go:build cgo

package ort

import (
	"context"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MapFile is a buffer to read that is a file's first bytes. It is there at once where the file is in the page cache, since it
// copies nothing and takes no memory. Until Settle it has what is written to the file, and its pages are as large as
// the file system's; a file that is cut short meanwhile ends the process.
func MapFile(f *os.File, bytes int) (*Buffer, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	file := os.NewFile(uintptr(fd), f.Name())
	mem, err := anonymous(bytes) // for its address
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map %s: %w", f.Name(), err), file.Close())
	}
	b := newBuffer(mem, bytes)
	b.file = file
	_, err = unix.MmapPtr(fd, 0, mem, extent(bytes), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_FIXED)
	if err == nil {
		_ = unix.Madvise(b.Bytes(), unix.MADV_HUGEPAGE)
		err = unix.Madvise(b.Bytes(), unix.MADV_POPULATE_READ) // what can't be read is an error now, later it would be a signal
	}
	if err != nil && !errors.Is(err, unix.EINVAL) { // Linux before 5.14 reads at the first use
		return nil, errors.Join(fmt.Errorf("map %s: %w", f.Name(), err), b.Close())
	}
	return b, nil
}

// piece is what Settle moves at once: few system calls, and Close waits for no more.
const piece = 16 * hugePage

// Settle makes a mapped buffer memory of our own, in large pages, while others read it: pieces of the file are read into
// new memory, which then takes the mapping's place in one system call. It says how many bytes it has moved, and ends early
// with ctx or Close. After an error the rest is still mapped.
func (b *Buffer) Settle(ctx context.Context) (moved int, err error) {
	for more := true; more; {
		if ctx.Err() != nil {
			return moved, context.Cause(ctx)
		}
		var n int
		n, more, err = b.settle(moved)
		moved += n
	}
	return moved, err
}

// settle moves the piece at an offset, and says whether another one follows.
func (b *Buffer) settle(at int) (n int, more bool, err error) {
	b.settling.Lock()
	defer b.settling.Unlock()
	if b.file == nil {
		return 0, false, nil
	}
	n = min(piece, b.size-at)
	mem, err := anonymous(n)
	if err != nil {
		return 0, false, fmt.Errorf("memory for %s: %w", b.file.Name(), err)
	}
	_, err = b.file.ReadAt(unsafe.Slice((*byte)(mem), n), int64(at))
	if err == nil {
		_, err = unix.MremapPtr(mem, extent(n), unsafe.Add(b.ptr, at), extent(n), unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED)
	}
	if err != nil {
		return 0, false, errors.Join(fmt.Errorf("memory for %s: %w", b.file.Name(), err), unix.MunmapPtr(mem, extent(n)))
	}
	if more = at+n < b.size; !more {
		err = b.release()
	}
	return n, more, err
}

// release closes the file that the buffer was.
func (b *Buffer) release() error {
	f := b.file
	b.file = nil
	if f == nil {
		return nil
	}
	return f.Close()
}

package file

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// disk makes this package's changes to the file system. Tests inject faults into it.
type disk struct {
	// fault, if not nil, is called before each change. It returns how many of n bytes are written, and the error after
	// that.
	fault func(op, path string, n int) (int, error)
	// pretend skips the syncs themselves, for tests that make thousands.
	pretend bool
	// readOnly skips all changes: writing, truncating and renaming. It is for CheckAcquire.
	readOnly bool
	// mode is the mode of new files of events and rejects; 0 means defaultMode.
	mode fs.FileMode
}

// These are the changes in which a test can inject a fault.
const (
	opOpen     = "open"
	opWrite    = "write"
	opSync     = "sync"
	opTruncate = "truncate"
	opRename   = "rename"
	opSyncDir  = "sync folder"
	opRemove   = "remove"
)

func (d *disk) may(op, path string, n int) (int, error) {
	if d.fault == nil {
		return n, nil
	}
	return d.fault(op, path, n)
}

// openAppend opens a file for reading and appending, and creates it if it is missing.
func (d *disk) openAppend(path string) (*os.File, error) {
	if d.readOnly {
		f, err := os.Open(path)
		return f, ignoreMissing(err)
	}
	if _, err := d.may(opOpen, path, 0); err != nil {
		return nil, err
	}
	return openMade(path, cmp.Or(d.mode, defaultMode))
}

func (d *disk) write(f *os.File, data []byte) error {
	if d.readOnly {
		return nil
	}
	n, fault := d.may(opWrite, f.Name(), len(data))
	if _, err := f.Write(data[:n]); err != nil {
		return err
	}
	return fault
}

// writeAt overwrites a part of a file.
func (d *disk) writeAt(f *os.File, data []byte, at int64) error {
	n, fault := d.may(opWrite, f.Name(), len(data))
	if _, err := f.WriteAt(data[:n], at); err != nil {
		return err
	}
	return fault
}

func (d *disk) sync(f *os.File) error {
	if _, err := d.may(opSync, f.Name(), 0); err != nil {
		return err
	}
	if d.pretend {
		return nil
	}
	return f.Sync()
}

// truncate cuts a file and makes that durable.
func (d *disk) truncate(f *os.File, size int64) error {
	if d.readOnly {
		return nil
	}
	if _, err := d.may(opTruncate, f.Name(), 0); err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	return d.sync(f)
}

func (d *disk) rename(from, to string) error {
	if _, err := d.may(opRename, to, 0); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (d *disk) remove(path string) error {
	if _, err := d.may(opRemove, path, 0); err != nil {
		return err
	}
	return os.Remove(path)
}

// syncDir makes the names in a folder durable.
func (d *disk) syncDir(dir string) error {
	if d.readOnly {
		return nil
	}
	if _, err := d.may(opSyncDir, dir, 0); err != nil {
		return err
	}
	if d.pretend || runtime.GOOS == "windows" { // folders cannot be synced there
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// replace replaces a file by data, completely or not at all. unclear means, with an error, that the new file may be in
// place.
func (d *disk) replace(path string, data []byte) (unclear bool, err error) {
	if d.readOnly {
		return false, nil
	}
	temp := path + ".new"
	f, err := d.create(temp)
	if err != nil {
		return false, err
	}
	if err = d.write(f, data); err == nil {
		err = d.sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return false, errors.Join(err, ignoreMissing(d.remove(temp)))
	}
	if err := d.rename(temp, path); err != nil {
		return false, err
	}
	if err := d.syncDir(filepath.Dir(path)); err != nil {
		return true, err
	}
	return false, nil
}

func (d *disk) create(path string) (*os.File, error) {
	if _, err := d.may(opOpen, path, 0); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

// openWrite opens a file for writing from its beginning, without truncating it.
func (d *disk) openWrite(path string) (*os.File, error) {
	if _, err := d.may(opOpen, path, 0); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// plain removes the path from a file system's error, but keeps the operation and the cause.
func plain(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s: %w", path.Op, path.Err)
	}
	return err
}

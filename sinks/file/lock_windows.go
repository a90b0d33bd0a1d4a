package file

import (
	"errors"
	"os"
	"syscall"
)

// sharingViolation is the system's error if another handle excludes ours.
const sharingViolation syscall.Errno = 32

// inodeOf is not known here.
func inodeOf(os.FileInfo) int { return 0 }

// lock takes a lock that the system releases when the process ends. held means that another process has it.
func lock(path string) (f *os.File, held bool, err error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, false, err
	}
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS,
		syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, errors.Is(err, sharingViolation), err
	}
	return os.NewFile(uintptr(handle), path), false, nil
}

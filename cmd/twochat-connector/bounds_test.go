package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const (
	// maxFields limits a struct with behaviour, maxMethods any type. What is larger is several things under one name.
	maxFields, maxMethods = 20, 20
	// recordMethods is the number of methods that a plain record may have, such as a configuration or a checkpoint. It
	// may have any number of fields.
	recordMethods = 3
)

type typeSize struct{ fields, methods int }

func (s typeSize) fits() bool {
	return s.methods <= maxMethods && (s.fields <= maxFields || s.methods <= recordMethods)
}

// typeSizes measures the types of the module without its tests. A type is named by its folder and its name.
func typeSizes(t *testing.T) map[string]typeSize {
	t.Helper()
	fields := map[string]int{}
	methods := map[string]map[string]bool{} // by name, because a method that each system has in its own file counts once
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && file != root && (strings.HasPrefix(name, ".") || name == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		folder, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range parsed.Decls {
			switch d := declaration.(type) {
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if typ, ok := spec.(*ast.TypeSpec); ok {
						name := filepath.ToSlash(folder) + "." + typ.Name.Name
						if structure, ok := typ.Type.(*ast.StructType); ok {
							fields[name] = max(fields[name], structure.Fields.NumFields())
						}
					}
				}
			case *ast.FuncDecl:
				if d.Recv == nil {
					continue
				}
				name := filepath.ToSlash(folder) + "." + receiver(d.Recv.List[0].Type)
				if methods[name] == nil {
					methods[name] = map[string]bool{}
				}
				methods[name][d.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]typeSize{}
	for name, n := range fields {
		sizes[name] = typeSize{fields: n}
	}
	for name, names := range methods {
		sizes[name] = typeSize{fields: fields[name], methods: len(names)}
	}
	return sizes
}

// receiver returns the name of the type that a method belongs to.
func receiver(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// No struct with behaviour has more fields, and no type more methods, than a reader can keep in mind.
func TestBounds(t *testing.T) {
	for name, size := range typeSizes(t) {
		if !size.fits() {
			t.Errorf("%s has %d fields and %d methods: carve it, at most %d and %d", name, size.fields, size.methods, maxFields,
				maxMethods)
		}
	}
}

func TestBounds_Measure(t *testing.T) {
	sizes := typeSizes(t)
	if size := sizes["cmd/twochat-connector/pipeline.Pipeline"]; size.fields == 0 || size.methods == 0 {
		t.Errorf("nothing is measured: %v", size)
	}
	for size, fits := range map[typeSize]bool{
		{20, 20}: true, {21, 20}: false, {20, 21}: false, {0, 21}: false, {40, 3}: true, {40, 4}: false,
	} {
		if size.fits() != fits {
			t.Errorf("%v: fits %t, want %t", size, !fits, fits)
		}
	}
}

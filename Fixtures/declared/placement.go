// +kubebuilder:rbac:groups=doc,resources=before-package-group,verbs=get

// Package shop sells things.
// +kubebuilder:rbac:groups=doc,resources=package-doc,verbs=get
package shop // +kubebuilder:rbac:groups=doc,resources=package-trailing,verbs=get

import "fmt" // +kubebuilder:rbac:groups=doc,resources=NO-import-trailing,verbs=get

// +kubebuilder:rbac:groups=doc,resources=free,verbs=get

/*
 +kubebuilder:rbac:groups=doc,resources=NO-block,verbs=get
*/

// +kubebuilder:rbac:groups=doc,resources=NO-func-doc,verbs=get
func f() {
	// +kubebuilder:rbac:groups=doc,resources=NO-body,verbs=get
	type (
		// +kubebuilder:rbac:groups=doc,resources=local-grouped-closest,verbs=get

		local int // +kubebuilder:rbac:groups=doc,resources=NO-local-trailing,verbs=get
	)

	// +kubebuilder:rbac:groups=doc,resources=NO-local-free,verbs=get

	type single int
	var v any = single(1)
	switch v.(type) {
	// +kubebuilder:rbac:groups=doc,resources=NO-case,verbs=get
	case int:
	}
	s := `
// +kubebuilder:rbac:groups=doc,resources=NO-raw-string,verbs=get
}}}`
	r := '}'
	q := "// not \" a comment }"
	_ = map[string]struct{ a int }{"x": {1}}
	fmt.Println(s, r, '\'', q)
} // +kubebuilder:rbac:groups=doc,resources=after-func-brace,verbs=get

// +kubebuilder:rbac:groups=doc,resources=before-type,verbs=get

// T is.
// +kubebuilder:rbac:groups=doc,resources=NO-type-doc,verbs=get
type T struct {
	// +kubebuilder:rbac:groups=doc,resources=NO-field,verbs=get
	A int // +kubebuilder:rbac:groups=doc,resources=NO-field-trailing,verbs=get

	// +kubebuilder:rbac:groups=doc,resources=NO-struct-free,verbs=get

} // +kubebuilder:rbac:groups=doc,resources=NO-type-trailing,verbs=get

type (
	// +kubebuilder:rbac:groups=doc,resources=NO-grouped-far,verbs=get

	// +kubebuilder:rbac:groups=doc,resources=grouped-closest,verbs=get

	// U is.
	// +kubebuilder:rbac:groups=doc,resources=NO-grouped-doc,verbs=get
	U interface{ M() }
)

var (
	// +kubebuilder:rbac:groups=doc,resources=NO-var-group,verbs=get

	x = func() int { return 1 }() // +kubebuilder:rbac:groups=doc,resources=NO-var-trailing,verbs=get
)

//+kubebuilder:rbac:groups=doc,resources=NO-const-doc,verbs=get
const c = 1

//	+kubebuilder:rbac:groups=doc,resources=tab,verbs=get

var y = 1; var z = 2 // +kubebuilder:rbac:groups=doc,resources=NO-var-trailing2,verbs=get

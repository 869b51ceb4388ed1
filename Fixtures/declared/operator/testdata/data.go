package testdata

// +kubebuilder:rbac:groups=skipped,resources=data,verbs=get

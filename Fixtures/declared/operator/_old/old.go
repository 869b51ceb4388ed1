package old

// +kubebuilder:rbac:groups=skipped,resources=old,verbs=get

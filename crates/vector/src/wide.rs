//! Functions compiled for the widest registers of the machine.

use std::sync::LazyLock;

/// The widest instruction set of this machine, looked up once.
pub(crate) static ARCH: LazyLock<pulp::Arch> = LazyLock::new(pulp::Arch::new);

/// Defines a function whose body is compiled once for every instruction set and picked at run time.
///
/// The body must be a method with `inline(always)`: a closure would reach the wide code through a shim
/// that is compiled for the narrowest set (a factor of ten, measured).
macro_rules! vectorised {
    (
        $(#[$meta:meta])*
        fn $name:ident<'a>($($argument:ident: $kind:ty),* $(,)?) -> $output:ty $body:block
    ) => {
        $(#[$meta])*
        fn $name<'a>($($argument: $kind),*) -> $output {
            struct Task<'a> {
                $($argument: $kind,)*
                lifetime: std::marker::PhantomData<&'a ()>,
            }
            impl pulp::WithSimd for Task<'_> {
                type Output = $output;

                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) -> $output {
                    let Task { $($argument,)* lifetime: _ } = self;
                    $body
                }
            }
            crate::wide::ARCH.dispatch(Task { $($argument,)* lifetime: std::marker::PhantomData })
        }
    };
}
pub(crate) use vectorised;

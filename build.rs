//! Compiles the kernel's packet programs, if the feature `ebpf` asks for it.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    let mut cargo = io::stdout().lock();
    writeln!(cargo, "cargo::rerun-if-changed=build.rs")?;
    if env::var_os("CARGO_FEATURE_EBPF").is_none() {
        return Ok(());
    }
    writeln!(cargo, "cargo::rerun-if-changed=ebpf/program")?;
    writeln!(cargo, "cargo::rerun-if-env-changed=CLANG")?;
    let objects = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names no folder")?);
    ["datapath", "observe", "generator"].iter().try_for_each(|program| {
        let source = format!("ebpf/program/{program}.bpf.c");
        compile(Path::new(&source), &objects.join(program).with_extension("o"))
    })
}

fn compile(source: &Path, object: &Path) -> Result<(), Box<dyn Error>> {
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let byte_order = if env::var("CARGO_CFG_TARGET_ENDIAN")? == "big" { "bpfeb" } else { "bpfel" };
    let mut command = Command::new(&clang);
    command.args(["-O2", "-g", "-target", byte_order, "-mcpu=v3", "-Wall", "-Wextra", "-Werror"]);
    command.args(["-Wno-unused-parameter", "-Wno-address-of-packed-member"]);
    // Where Debian keeps the kernel's headers that depend on the machine.
    let headers = format!("/usr/include/{}-linux-gnu", env::var("CARGO_CFG_TARGET_ARCH")?);
    if Path::new(&headers).exists() {
        command.arg(format!("-I{headers}"));
    }
    let outcome = command.arg("-c").arg(source).arg("-o").arg(object).output();
    let missing = "install what the feature `ebpf` is built with: apt-get install clang libbpf-dev";
    match outcome {
        Err(error) => Err(format!("{clang} cannot be run ({error}); {missing}").into()),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let hint = if text.contains("file not found") { missing } else { "the program does not compile" };
            Err(format!("{clang}: {text}\n{hint}").into())
        }
    }
}

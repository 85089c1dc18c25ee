// `npm run bench -- …` is `secateur bench …` from the sources.
process.argv.splice(2, 0, "bench");
await import("../src/cli/main.ts");

/**
 * The published declaration of `SyncOptions`: the type that the schema in src/workspace/options.ts infers, written out
 * with the options' descriptions. What tsc emits for that file names zod, which a user of the package does not have.
 */

import path from 'node:path';
import { pathToFileURL } from 'node:url';

const root = path.dirname(import.meta.dirname);
const source = path.join(root, 'src/workspace/options.ts');

/**
 * @param {string} temporary a file that may be written and imported; the caller removes it
 * @returns {Promise<string>} the text of `types/workspace/options.d.ts`
 */
export async function optionTypes(temporary) {
  const [members, describe] = await Promise.all([inferredMembers(), descriptions(temporary)]);
  const lines = members.map(({ name, type }) => `  /** ${describe(name)} */\n  ${name}?: ${type};\n`);
  return `/** Options as a user gives them; everything is optional. */\nexport interface SyncOptions {\n${lines.join('')}}\n`;
}

async function inferredMembers() {
  const { default: ts } = await import('typescript');
  const config = ts.readConfigFile(path.join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const program = ts.createProgram([source], options);
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(source));
  const alias = checker.getExportsOfModule(module).find(({ name }) => name === 'SyncOptions');
  const flags = ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseSingleQuotesForStringLiteralType;
  return checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(alias)).map((property) => {
    const type = checker.typeToString(checker.getTypeOfSymbol(property), undefined, flags);
    // A name would be the name of something that the published file cannot see.
    if (/[A-Z$]/.test(type)) throw new Error(`SyncOptions.${property.name} is not written out: ${type}`);
    return { name: property.name, type };
  });
}

async function descriptions(temporary) {
  const { rolldown } = await import('rolldown');
  const build = await rolldown({ cwd: root, input: source, platform: 'node', tsconfig: false });
  await build.write({ file: temporary, format: 'esm' });
  await build.close();
  const { optionMeta, syncOptionsSchema } = await import(pathToFileURL(temporary));
  return (name) => optionMeta(syncOptionsSchema.shape[name]).description;
}

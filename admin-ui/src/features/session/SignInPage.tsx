import { Button, Center, Code, Group, Image, Paper, PasswordInput, Stack, Text, Title } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type SyntheticEvent, useState } from 'react';
import { hasStatus } from '@/api/problem';
import { sessionQuery, signIn } from '@/api/session';
import { Failure } from '@/components/Notice';

interface SignInPageProps {
  onSignedIn: () => void;
}

/** Trades an admin token for a session. */
export function SignInPage({ onSignedIn }: SignInPageProps) {
  useDocumentTitle('Sign in · Tidegate');
  const queryClient = useQueryClient();
  const [token, setToken] = useState('');
  const attempt = useMutation({
    mutationFn: signIn,
    onSuccess: (session) => {
      queryClient.setQueryData(sessionQuery.queryKey, session);
      onSignedIn();
    },
  });
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (token.trim() !== '') attempt.mutate(token.trim());
  };
  const refused = hasStatus(attempt.error, 401);
  return (
    <Center component="main" mih="100vh" p="md">
      <Paper p="xl" w="100%" maw={400} component="form" onSubmit={submit}>
        <Stack gap="md">
          <Group gap="sm">
            <Image src="/icon.svg" alt="" w={30} h={30} />
            <Title order={1}>Sign in to Tidegate</Title>
          </Group>
          <PasswordInput
            label="Admin token"
            autoComplete="current-password"
            autoFocus
            required
            withAsterisk={false}
            value={token}
            error={refused && 'This token is not known, has expired or was revoked.'}
            onChange={(event) => setToken(event.currentTarget.value)}
          />
          <Text size="xs" c="dimmed">
            <Code>make up</Code> prints the name of the file that holds yours. A colleague with the admin role makes more with the API.
          </Text>
          {attempt.error && !refused && <Failure error={attempt.error} doing="Signing in" />}
          <Button type="submit" size="sm" loading={attempt.isPending}>
            Sign in
          </Button>
        </Stack>
      </Paper>
    </Center>
  );
}
